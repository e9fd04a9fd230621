"""The incident as a file that stands alone: HTML, Markdown, JSON.

dossier (everything that is known) -> sections (what is said) -> html or markdown (how it is written)
"""
