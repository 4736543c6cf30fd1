"""What `manage.py demo` does: a server, a seeded shop, and a visitor's journey through the API."""
