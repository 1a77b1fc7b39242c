"""What an operator does about recipients' pseudonyms."""
