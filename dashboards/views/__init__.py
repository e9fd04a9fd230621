"""One module a page or part of one, each with one function that draws it.

Not named `pages`: Streamlit would run such a folder's files as pages by themselves.
"""
