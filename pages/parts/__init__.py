"""What the pages are put together from: widgets and words, no mathematics, no file access."""
