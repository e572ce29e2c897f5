"""What stands in front of every route, Gradio's and ours: who may ask, how much, and what a browser is told."""
