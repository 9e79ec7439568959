"""What checkpoints hold: lists of them, one in full, cards, exports, differences."""
