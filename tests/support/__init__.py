"""What several tests share: the definition written once more, cases drawn by number, arrays laid out in every way."""
