"""`rnncli charlm`: train a character language model, sample from it, measure it on a text."""
