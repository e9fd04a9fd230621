"""Pure drawing: model objects in, rows, text and chart specifications out.

Channels of charts are told as objects, `x=alt.X("at:Q")` and `x=alt.XValue(2)`, never as strings or
`alt.value(2)`: of those Altair finds out in 5 ms each what they are, a hundred of them a page.
"""
