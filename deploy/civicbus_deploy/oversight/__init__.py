"""What officers of oversight do: review emergencies, and close the cases that hid readings."""
