"""Who may ask, from where, and how much: API keys, their limits, and CORS."""
