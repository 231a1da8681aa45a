"""What picture files say of themselves, read without decoding them."""
