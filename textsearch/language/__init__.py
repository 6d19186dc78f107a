"""What is known of English and of Chinese: words and how they are written, bent, cut up and mistaken."""
