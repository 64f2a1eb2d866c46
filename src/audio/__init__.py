"""Sound files: what they are, decoding, encoding, loudness, acoustic fingerprints. Only this room decodes music."""
