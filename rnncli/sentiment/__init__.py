"""Text classification: label texts, measure a classifier, explain what it decides."""
