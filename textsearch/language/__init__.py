"""English and Chinese: words, spelling, inflection, segmentation and common mistakes."""
