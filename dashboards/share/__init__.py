"""The incident as a file that stands alone: HTML, Markdown, JSON.

dossier (what is known) -> sections (what is said) -> html, markdown (how it is written)
"""
