"""The routes: each says what it takes and leaves the rest to the service."""
