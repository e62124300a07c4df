"""The layout of the 478 points: which of them lie about the eyes, and which are each other's mirror image.

The layout is that of MediaPipe's face mesh (Apache-2.0). The pairs are the nearest points of the mean mesh of
frontal portraits and its reflection.
"""

import numpy as np

MESH_POINTS, ALL_POINTS = 468, 478
RIGHT_EYE = (
    33, 7, 163, 144, 145, 153, 154, 155, 133, 246, 161, 160, 159, 158, 157, 173, 130, 25, 110, 24, 23,
    22, 26, 112, 243, 247, 30, 29, 27, 28, 56, 190, 226, 31, 228, 229, 230, 231, 232, 233, 244, 113,
    225, 224, 223, 222, 221, 189, 35, 124, 46, 53, 52, 65, 143, 111, 117, 118, 119, 120, 121, 128, 245,
    156, 70, 63, 105, 66, 107, 55, 193,
)  # fmt: skip
LEFT_EYE = (
    263, 249, 390, 373, 374, 380, 381, 382, 362, 466, 388, 387, 386, 385, 384, 398, 359, 255, 339, 254,
    253, 252, 256, 341, 463, 467, 260, 259, 257, 258, 286, 414, 446, 261, 448, 449, 450, 451, 452, 453,
    464, 342, 445, 444, 443, 442, 441, 413, 265, 353, 276, 283, 282, 295, 372, 340, 346, 347, 348, 349,
    350, 357, 465, 383, 300, 293, 334, 296, 336, 285, 417,
)  # fmt: skip
"""The points of the mesh that the eye network's 71 points replace: lids, the rings around them, the brow."""
RIGHT_RIM, LEFT_RIM = RIGHT_EYE[:16], LEFT_EYE[:16]
"""The rims of the lids."""
RIGHT_LID_PAIRS = ((159, 145), (158, 153), (160, 144))
LEFT_LID_PAIRS = ((386, 374), (385, 380), (387, 373))
"""Points of the upper and the lower lid's rim, the person's right and left eye."""
_RIGHT_SIDE = (
    3, 20, 21, 32, 34, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 47, 48, 49, 50, 51, 54, 57, 58, 59, 60,
    61, 62, 64, 67, 68, 69, 71, 72, 73, 74, 75, 76, 77, 78, 79, 80, 81, 82, 83, 84, 85, 86, 87, 88, 89,
    90, 91, 92, 93, 95, 96, 97, 98, 99, 100, 101, 102, 103, 104, 106, 108, 109, 114, 115, 116, 122, 123,
    125, 126, 127, 129, 131, 132, 134, 135, 136, 137, 138, 139, 140, 141, 142, 146, 147, 148, 149, 150,
    162, 165, 166, 167, 169, 170, 171, 172, 174, 176, 177, 178, 179, 180, 181, 182, 183, 184, 185, 186,
    187, 188, 191, 192, 194, 196, 198, 201, 202, 203, 204, 205, 206, 207, 208, 209, 210, 211, 212, 213,
    214, 215, 216, 217, 218, 219, 220, 227, 234, 235, 236, 237, 238, 239, 240, 241, 242,
)  # fmt: skip
_LEFT_SIDE = (
    248, 250, 251, 262, 264, 266, 267, 268, 269, 270, 271, 272, 273, 274, 275, 277, 278, 279, 280, 281,
    284, 287, 288, 289, 290, 291, 292, 294, 297, 298, 299, 301, 302, 303, 304, 305, 306, 307, 308, 309,
    310, 311, 312, 313, 314, 315, 316, 317, 318, 319, 320, 321, 322, 323, 324, 325, 326, 327, 328, 329,
    330, 331, 332, 333, 335, 337, 338, 343, 344, 345, 351, 352, 354, 355, 356, 358, 360, 361, 363, 364,
    365, 366, 367, 368, 369, 370, 371, 375, 376, 377, 378, 379, 389, 391, 392, 393, 394, 395, 396, 397,
    399, 400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411, 412, 415, 416, 418, 419, 420, 421,
    422, 423, 424, 425, 426, 427, 428, 429, 430, 431, 432, 433, 434, 435, 436, 437, 438, 439, 440, 447,
    454, 455, 456, 457, 458, 459, 460, 461, 462,
)  # fmt: skip
"""Pairs of points beside the eyes; what is in no pair lies on the middle line."""
RIGHT_IRIS, LEFT_IRIS = slice(468, 473), slice(473, 478)
MIRRORED_IRIS = np.array([0, 3, 2, 1, 4])
"""The middle of an iris and four points of its edge: in a mirrored picture two of them change places."""


def _mirrored() -> np.ndarray:
    table = np.arange(ALL_POINTS)
    for right, left in ((RIGHT_EYE, LEFT_EYE), (_RIGHT_SIDE, _LEFT_SIDE)):
        table[list(right)], table[list(left)] = left, right
    table[RIGHT_IRIS] = 473 + MIRRORED_IRIS
    table[LEFT_IRIS] = 468 + MIRRORED_IRIS
    return table


MIRRORED = _mirrored()
"""(478,) for each point the one that takes its place in a mirrored picture."""
