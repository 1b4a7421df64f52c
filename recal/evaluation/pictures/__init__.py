"""The report's pictures: SVG that takes the page's colours, each with its words."""
