"""The README of a bundle, in Vietnamese and English."""

from __future__ import annotations

README = """\
# Gói bằng chứng CivicBus · CivicBus evidence bundle

## Tiếng Việt

Gói này chứa các bản ghi về việc chia sẻ dữ liệu giữa các cơ quan: ai đã nhận (hoặc bị từ chối) dữ
liệu nào, của ai (bằng bí danh), vì mục đích gì, trên căn cứ nào. Mỗi bản ghi là một lá của sổ cái.

Kiểm tra ngoại tuyến, chỉ cần Python 3.11:

    python3 verify.py bundle . --policy trust.policy --exporter exporter.vkey

Hãy lấy `verify.py`, `trust.policy` và `exporter.vkey` từ một nơi khác người đã trao gói này (bên
vận hành sổ cái, cơ quan giám sát) và so sánh với các bản sao ở đây. Nếu không, việc kiểm tra chỉ
cho thấy gói này tự khớp với chính nó. Mã thoát: 0 hợp lệ, 1 đã bị sửa đổi, 2 dùng sai.

Được chứng minh: mỗi bản ghi nằm trong sổ cái có gốc đã ký; các tệp nói đúng điều các lá nói.
Không còn bản ghi nào khác khớp với câu hỏi: `completeness` trong manifest.json cho biết điều đó dựa
vào đâu. `index-commits`: completeness.json chứng minh mọi quyết định về người đó hoặc cho cơ quan
đó, hoặc mọi bản ghi nêu cán bộ đó, đến lá `covered`; phần còn lại, cũng như bản ghi thuộc loại
khác, là lời khai đã ký của người xuất dữ liệu, sau khi đọc mọi lá. `re-scan`: tất cả chỉ là lời
khai ấy, vì lý do được nêu. Ai có sổ cái đều có thể đếm lại.
Bản ghi nói điều đã được quyết định và ghi lại trước khi dữ liệu rời đi. Dữ liệu có thực sự được
chuyển giao hay không do các trang sau của sổ cái cho biết; releases.csv là lời khai đã ký của người
xuất về điều đó.

## English

This bundle holds records of data shared between agencies: who got (or was refused) which data,
about whom (by pseudonym), for which purpose, on what ground. Each record is a leaf of the ledger.

To check it offline, with Python 3.11 alone:

    python3 verify.py bundle . --policy trust.policy --exporter exporter.vkey

Get `verify.py`, `trust.policy` and `exporter.vkey` from somebody other than who gave you this (the
ledger's operator, an oversight body) and compare them with the copies in here. Otherwise the check
shows only that the bundle agrees with itself. Exit codes: 0 it holds, 1 it was changed, 2 usage.

Proved: each record is in the ledger whose root was signed; the files say what the leaves say.
That no other record matches: `completeness` in manifest.json says on what it rests. With
`index-commits`, completeness.json proves it of all decisions about the person or for the agency, or
of all records that name the officer, up to leaf `covered`; what is behind, and records of other
kinds, rest on the exporter's signed statement, after reading every leaf. With `re-scan` all of it
is that statement, for the reason given. Whoever has the ledger can count again.
A record says what was decided and recorded before anything moved. Whether the data was then
released is told by later pages of the ledger; releases.csv is the exporter's signed word for it.

| File | What it is |
|---|---|
| manifest.json, manifest.sig | query, officer, purpose, counts, SHA-256 of every file |
| records.ndjson, records.csv | the records, for programs and for people |
| releases.csv | of each record: released, aborted, unsettled, or none where nothing was disclosed |
| leaves.bin | the leaves: number (8 bytes), length (2), bytes; big-endian |
| proof.hashes | one proof for all leaves (RFC 6962; the roots of the subtrees without any) |
| checkpoint, trust.policy, exporter.vkey | what was signed, whose signatures count |
| completeness.json | where there is one: the proof that nothing else matches |
| verify.py | the verifier |
"""
