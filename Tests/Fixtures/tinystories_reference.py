#!/usr/bin/env python3
"""Write tinystories-656k.json: what transformers in f32 makes of four prompts with the model TinyStories-656K.

Run by hand, with the packages of requirements.txt beside this file and the folder that holds the model:

    python Tests/Fixtures/tinystories_reference.py ../shared/models/TinyStories-656K

Per prompt: `ids` (BOS included), `greedy_ids` and `greedy_text` (100 new tokens, end tokens ignored),
`min_greedy_margin` (the least gap between first and second on the way), and of the prompt's last position the 20
highest logits and the norm of all of them. The first two prompts also carry all logits of that position: `logits`,
base64 of little-endian f32.
"""

import base64
import json
import pathlib
import sys

import torch
import transformers

PROMPTS = [
    "Once upon a time",
    "One day, a little girl named Lily found ",
    "Tom and his dog went to the park. They ",
    "The café was closed — “why?” asked Zoë. ",  # with characters that the vocabulary lacks
]
NEW_TOKENS, TOP, WITH_ALL_LOGITS = 100, 20, 2


def main():
    torch.set_num_threads(1)
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    folder = sys.argv[1]
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=f"{folder}/tokenizer.json")
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    model.eval()
    prompts = []
    for number, prompt in enumerate(PROMPTS):
        ids = tokenizer(prompt)["input_ids"]
        step, past, new, margin = ids, None, [], float("inf")
        while len(new) < NEW_TOKENS:
            with torch.no_grad():
                result = model(torch.tensor([step]), past_key_values=past, use_cache=True)
            past, logits = result.past_key_values, result.logits[0, -1]
            if not new:
                last = logits
            (first, second), (best, _) = logits.topk(2)
            margin = min(margin, float(first - second))
            step = [int(best)]
            new += step
        values, indices = last.topk(TOP)
        entry = dict(
            text=prompt,
            ids=ids,
            greedy_ids=new,
            greedy_text=tokenizer.decode(ids + new, skip_special_tokens=True)[
                len(tokenizer.decode(ids, skip_special_tokens=True)) :
            ],
            min_greedy_margin=round(margin, 6),
            top_ids=indices.tolist(),
            top_logits=[round(value, 6) for value in values.tolist()],
            logits_l2=round(float(last.double().norm()), 6),
        )
        if number < WITH_ALL_LOGITS:
            entry["logits"] = base64.b64encode(last.numpy().astype("<f4").tobytes()).decode()
        prompts.append(entry)
        print(repr(prompt), len(ids), "ids, margin", entry["min_greedy_margin"], repr(entry["greedy_text"][:90]))
    made_by = f"transformers {transformers.__version__}, torch {torch.__version__}, f32, eager attention"
    lines = ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in prompts)
    output = pathlib.Path(__file__).resolve().parent / "tinystories-656k.json"
    output.write_text(f'{{"made_by": {json.dumps(made_by)},\n"prompts": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    main()
