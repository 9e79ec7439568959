"""`rnncli merge`: what many processes printed, each of its share, as one would have printed it."""
