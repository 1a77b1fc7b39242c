"""Vietnamese names, drawn with roughly their frequencies."""

from __future__ import annotations

from random import Random

FAMILY = ("Nguyễn", "Trần", "Lê", "Phạm", "Hoàng", "Phan", "Vũ", "Đặng", "Bùi", "Đỗ", "Hồ", "Ngô",
          "Dương", "Lý", "Đinh", "Mai", "Trịnh", "Lương", "Tô", "Cao")  # fmt: skip
_FAMILY_WEIGHTS = (384, 110, 95, 71, 51, 45, 39, 21, 20, 14, 13, 13, 10, 5, 5, 5, 4, 4, 3, 3)
_MIDDLE = {
    "male": ("Văn", "Hữu", "Đức", "Minh", "Quang", "Công", "Anh", "Gia", "Thanh", "Quốc"),
    "female": ("Thị", "Ngọc", "Thu", "Thanh", "Minh", "Phương", "Bảo", "Khánh", "Kim", "Diệu"),
}
_GIVEN = {
    "male": ("An", "Bình", "Cường", "Dũng", "Đạt", "Hải", "Hiếu", "Hoàng", "Hùng", "Huy", "Khang",
             "Khoa", "Lâm", "Long", "Nam", "Phong", "Phúc", "Quân", "Sơn", "Thắng", "Tuấn", "Việt"),
    "female": ("An", "Anh", "Chi", "Dung", "Giang", "Hà", "Hạnh", "Hiền", "Hoa", "Hương", "Lan",
               "Linh", "Mai", "My", "Nga", "Ngân", "Nhung", "Quỳnh", "Thảo", "Trang", "Vy", "Yến"),
}  # fmt: skip


def draw_family_name(rng: Random) -> str:
    """A family name."""
    return rng.choices(FAMILY, _FAMILY_WEIGHTS)[0]


def draw_full_name(rng: Random, *, family: str, sex: str) -> str:
    """A full name in Vietnamese order: family, middle, given."""
    return f"{family} {rng.choice(_MIDDLE[sex])} {rng.choice(_GIVEN[sex])}"
