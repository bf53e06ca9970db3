from postgres_server import new_place, place, postgres

__all__ = ["new_place", "place", "postgres"]
