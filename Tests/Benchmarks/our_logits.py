"""Write our logits: python our_logits.py ROOT MODEL TOKENS OUT FORMAT."""

from __future__ import annotations

import array
import os
import pathlib
import sys

if __name__ == "__main__":
    root, model, tokens, out, format = sys.argv[1:]
    os.environ.setdefault("BONESOUP_LIBRARY", str(pathlib.Path(root) / ".build/release/libbonesoup.so"))
    sys.path.insert(0, str(pathlib.Path(root) / "bindings/python"))
    import bonesoup

    numbers = array.array("i", pathlib.Path(tokens).read_bytes())
    with bonesoup.Soup.open(model, weights=format) as soup, open(out, "wb") as file:
        session = soup.session(context=len(numbers))
        session.append(list(numbers))
        session.decode(all_logits=True)
        for position in range(len(numbers)):
            file.write(array.array("f", session.logits(position)).tobytes())
