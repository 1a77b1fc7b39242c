"""Where synthetic people live: a small, illustrative selection, not the official list.

Provinces are those since 1 July 2025 (Decision 19/2025/QĐ-TTg); `birth_codes` are the codes that
PINs of births there began with before and after.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

MERGED_ON = date(2025, 7, 1)

# two-digit codes of the 63 provinces until 30 June 2025; those that live on keep theirs
PROVINCE_CODES = frozenset({
    "01", "02", "04", "06", "08", "10", "11", "12", "14", "15", "17", "19", "20", "22",
    "24", "25", "26", "27", "30", "31", "33", "34", "35", "36", "37", "38", "40", "42",
    "44", "45", "46", "48", "49", "51", "52", "54", "56", "58", "60", "62", "64", "66",
    "67", "68", "70", "72", "74", "75", "77", "79", "80", "82", "83", "84", "86", "87",
    "89", "91", "92", "93", "94", "95", "96",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Commune:
    """A commune, its province as in force, and the province code of births before the merger."""

    code: str
    name: str
    province_code: str
    province: str
    former_code: str

    def birth_code(self, born_on: date) -> str:
        """The first three digits of a PIN of somebody registered here."""
        return "0" + (self.former_code if born_on < MERGED_ON else self.province_code)


@dataclass(frozen=True, slots=True)
class Facility:
    """A health facility, and the agency that publishes for it."""

    code: str
    name: str
    agency: str


COMMUNES = (
    Commune("00070", "Phường Hoàn Kiếm", "01", "Hà Nội", "01"),
    Commune("00103", "Phường Tây Hồ", "01", "Hà Nội", "01"),
    Commune("00166", "Phường Cầu Giấy", "01", "Hà Nội", "01"),
    Commune("00454", "Xã Sóc Sơn", "01", "Hà Nội", "01"),
    Commune("05443", "Phường Phan Đình Phùng", "19", "Thái Nguyên", "19"),
    Commune("07228", "Phường Bắc Giang", "24", "Bắc Ninh", "24"),
    Commune("09163", "Phường Kinh Bắc", "24", "Bắc Ninh", "27"),
    Commune("10507", "Phường Hải Dương", "31", "Hải Phòng", "30"),
    Commune("11311", "Phường Hồng Bàng", "31", "Hải Phòng", "31"),
    Commune("13669", "Phường Nam Định", "37", "Ninh Bình", "36"),
    Commune("16681", "Phường Thành Vinh", "40", "Nghệ An", "40"),
    Commune("19753", "Phường Phú Xuân", "46", "Huế", "46"),
    Commune("20194", "Phường Hải Châu", "48", "Đà Nẵng", "48"),
    Commune("20410", "Phường Hội An", "48", "Đà Nẵng", "49"),
    Commune("22366", "Phường Nha Trang", "56", "Khánh Hòa", "56"),
    Commune("24133", "Phường Buôn Ma Thuột", "66", "Đắk Lắk", "66"),
    Commune("24787", "Phường Xuân Hương - Đà Lạt", "68", "Lâm Đồng", "68"),
    Commune("25195", "Phường Bình Phước", "75", "Đồng Nai", "70"),
    Commune("26068", "Phường Trấn Biên", "75", "Đồng Nai", "75"),
    Commune("25747", "Phường Thủ Dầu Một", "79", "Hồ Chí Minh", "74"),
    Commune("26506", "Phường Vũng Tàu", "79", "Hồ Chí Minh", "77"),
    Commune("26740", "Phường Sài Gòn", "79", "Hồ Chí Minh", "79"),
    Commune("27139", "Phường Chợ Quán", "79", "Hồ Chí Minh", "79"),
    Commune("28249", "Phường Mỹ Tho", "82", "Đồng Tháp", "82"),
    Commune("31135", "Phường Ninh Kiều", "92", "Cần Thơ", "92"),
    Commune("32002", "Phường An Xuyên", "96", "Cà Mau", "96"),
)

BACH_MAI = Facility("SYN01", "Bệnh viện Bạch Mai", "hospital-bach-mai")
CHO_RAY = Facility("SYN02", "Bệnh viện Chợ Rẫy", "hospital-cho-ray")
STATIONS = tuple(
    Facility(f"SY{commune.code[-3:]}", f"Trạm y tế {commune.name}", "moh") for commune in COMMUNES
)
STREETS = (
    "Lê Lợi", "Trần Hưng Đạo", "Nguyễn Huệ", "Hai Bà Trưng", "Quang Trung", "Lý Thường Kiệt",
    "Phan Bội Châu", "Điện Biên Phủ", "Hùng Vương", "Ngô Quyền", "Bà Triệu", "Trường Chinh",
)  # fmt: skip
