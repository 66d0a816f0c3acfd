"""The figures of the Realism Index papers (arXiv 1904.03445) and the soap-bubble test."""
