#!/usr/bin/env python3
"""Makes photographs/shapes.jpg: discs and bars of every size, a stand-in for a photograph (pillow 13, numpy 2.4).

    photographs.py FOLDER
"""
import os
import sys

import numpy
from PIL import Image, ImageDraw

random = numpy.random.default_rng(0)
image = Image.new("RGB", (240, 160), (120, 120, 120))
draw = ImageDraw.Draw(image)
for _ in range(150):
    x, y = random.uniform(0, 240), random.uniform(0, 160)
    size = 4 / random.uniform(0.05, 1)
    colour = tuple(int(value) for value in random.integers(0, 256, 3))
    if random.uniform() < 0.5:
        draw.ellipse((x, y, x + size, y + size), fill=colour)
    else:
        angle = random.uniform(0, numpy.pi)
        end = (x + 3 * size * numpy.cos(angle), y + 3 * size * numpy.sin(angle))
        draw.line((x, y, *end), fill=colour, width=max(1, int(size / 4)))
image.save(os.path.join(sys.argv[1], "shapes.jpg"), quality=80)
