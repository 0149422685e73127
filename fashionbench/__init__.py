"""FashionBench: is the bigger model worth it?"""
