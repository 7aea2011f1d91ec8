"""OpenAI's images API: its fields, answers, events and errors; see docs/openai-api.md.

The routes themselves are in serve_app/routes/openai.py.
"""
