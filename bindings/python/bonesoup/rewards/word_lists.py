"""Short own word lists, for stories in simple English."""

from __future__ import annotations


def word_set(text: str) -> frozenset[str]:
    """Return the words of a text that has nothing else."""
    return frozenset(text.split())


HAPPY = word_set(
    """
    amazing awesome beautiful best better brave bright calm care cared careful celebrate cheer cheered cheerful clever
    cozy cuddle cute dance danced delicious delight delighted enjoy enjoyed excited exciting fair fantastic favorite
    friend friendly friends fun funny generous gentle giggle giggled giggling glad good grateful great happily happiness
    happy hero hope hug hugged hugging hugs joy joyful kind kindness kiss kissed laugh laughed laughing laughter like
    liked love loved lovely loves loving lucky magic magical nice party peaceful perfect play played playful playing
    pleased polite pretty proud relax safe share shared sharing shiny smart smile smiled smiles smiling special strong
    sunny surprise sweet thank thanked thankful thanks treasure warm welcome win wise won wonderful yay yummy
    """
)
SAD = word_set(
    """
    afraid alone angry annoyed ashamed awful bad bit blood bored break broke broken cold cried crossly cruel cry crying
    danger dangerous dark dead died dirty disappointed dizzy embarrassed envious fail failed fear fell fight fighting
    fought frightened frown grumpy guilty harm hate hated hit hurt ill jealous lonely lost mad mean mess messy miss
    missed mistake monster naughty nervous pain painful poor rude ruined sad sadly sadness scare scared scary scream
    screamed sick sorry stole stupid terrible threw tired trouble ugly unhappy unkind upset weak weep worried worry
    worse worst wrong yell yelled
    """
)
# What things look, sound and feel like; none of them happy or sad by the lists above.
DESCRIBING = word_set(
    """
    away big black blue brown carefully clean cloudy colorful deep dry far fast flat fluffy fresh furry gently gold
    golden green hard heavy high hot huge juicy light little long loud loudly nearby new old pink purple quick
    quickly quiet quietly rainy red round sharp short silly silver slow slowly small smooth soft softly sour sparkly
    strange suddenly tall thick thin tightly tiny wet white wide windy wooden yellow young
    """
)
