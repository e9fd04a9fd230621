"""What Streamlit runs at every click: the page that the address names."""

from dashboards.pages import show

show()
