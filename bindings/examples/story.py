"""A host in Python: python story.py SOUP PREFERENCE, as in: python story.py my-soup happy=.8,brief=.2"""

import sys

import bonesoup

path, wish = sys.argv[1:]
preference = {name: float(part) for name, part in (pair.split("=") for pair in wish.split(","))}
with bonesoup.Soup.open(path, progress=True) as soup:
    for piece in soup.stream("Once upon a time", preference=preference, temperature=0.7, seed=1, max_tokens=120):
        print(piece, end="", flush=True)
    print()
