"""Spelling to sounds in five languages: one table a language, and the few words that no rule reaches."""
