"""CIFAR-10: the binary version, packed or not, and named errors for everything else that carries its names."""

import gzip
import pickle
import tarfile

import numpy as np
import pytest
import torch

from manifoldflow.data import checksums, load_images, read_cifar10, read_cifar100, split_published
from manifoldflow.errors import DataError

from .files import cifar_batch, tar_gz

FOLDER = "cifar-10-batches-bin"
BATCHES = {f"data_batch_{i}.bin": cifar_batch(2, seed=i) for i in range(1, 6)} | {
    "test_batch.bin": cifar_batch(3, seed=9)
}
MEMBERS = [(f"{FOLDER}/{name}", content) for name, (_, _, content) in reversed(BATCHES.items())]
MEMBERS += [(f"{FOLDER}/batches.meta.txt", b"airplane\n"), (f"{FOLDER}/readme.html", b"<html>")]


@pytest.fixture
def archive(tmp_path):
    return tar_gz(tmp_path / "cifar-10-binary.tar.gz", MEMBERS)


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / FOLDER
    place.mkdir()
    for name, (_, _, content) in BATCHES.items():
        (place / name).write_bytes(content)
    return place


def check(data):
    images = np.concatenate([images for images, _, _ in BATCHES.values()])
    assert torch.equal(data.images, torch.from_numpy(images))
    assert data.labels.tolist() == [int(label) for _, labels, _ in BATCHES.values() for label in labels]
    assert (data.levels, data.name, data.published_test) == (256, "cifar10", 3)


def test_archive_folder_and_folders_that_hold_them_give_the_same(archive, folder, tmp_path):
    for path in (archive, folder, tmp_path):
        check(load_images(path))
    archive.rename(tmp_path / "x.tgz")
    check(load_images(tmp_path / "x.tgz"))
    (tmp_path / "x.tar").write_bytes(gzip.decompress((tmp_path / "x.tgz").read_bytes()))
    check(load_images(tmp_path / "x.tar"))


def test_nothing_is_written_beside_the_archive(archive, tmp_path):
    read_cifar10(archive)
    assert list(tmp_path.iterdir()) == [archive]


def test_the_published_test_part_stays_apart(folder):
    data = read_cifar10(folder)
    train, validation, test = split_published(data, 0.2, seed=0)
    assert (len(train), len(validation)) == (8, 2)
    assert torch.equal(test.images, torch.from_numpy(BATCHES["test_batch.bin"][0]))
    assert test.published_test == 0
    (folder / "test_batch.bin").unlink()
    with pytest.raises(DataError, match="cifar10: expected a published training and a published test part, got 10"):
        split_published(read_cifar10(folder), 0.2, seed=0)


def test_notes_say_what_is_missing_and_what_is_known(archive, folder, monkeypatch):
    assert read_cifar10(archive).note == "cifar-10-binary.tar.gz: of no known checksum"
    (folder / "data_batch_4.bin").unlink()
    assert read_cifar10(folder).note == "without data_batch_4.bin"
    monkeypatch.setattr("manifoldflow.data.cifar.CIFAR10_BINARY", (archive.stat().st_size, checksums.file_md5(archive)))
    assert read_cifar10(archive).note == "CIFAR-10 binary version as published (MD5)"


def test_an_archive_of_the_published_size_with_another_checksum_is_damaged(archive, monkeypatch):
    assert len(load_images(archive)) > 0
    md5 = checksums.CIFAR10_BINARY[1]
    monkeypatch.setattr("manifoldflow.data.cifar.CIFAR10_BINARY", (archive.stat().st_size, md5))
    with pytest.raises(DataError, match=rf"damaged: it has the published size, and MD5 .* instead of {md5}; download"):
        load_images(archive)


@pytest.mark.parametrize("packed", [True, False])
def test_the_python_version_is_refused_by_name_and_never_unpickled(tmp_path, packed):
    marker = tmp_path / "executed"

    class Malicious:
        def __reduce__(self):
            return exec, (f"open({str(marker)!r}, 'w')",)

    name, content = "data_batch_1", pickle.dumps(Malicious())
    if packed:
        source = tar_gz(tmp_path / "cifar-10-python.tar.gz", [(f"cifar-10-batches-py/{name}", content)])
    else:
        source = tmp_path / "cifar-10-batches-py"
        source.mkdir()
        (source / name).write_bytes(content)
    for path in (source, tmp_path):
        with pytest.raises(
            DataError, match=r"python version: it consists of pickles.*cifar-10-binary\.tar\.gz as down"
        ):
            load_images(path)
    assert not marker.exists()


def member(name, kind, link=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ("../escaped.bin", "'../escaped.bin' leaves the archive's folder"),
        (f"{FOLDER}/../../data_batch_1.bin", "leaves the archive's folder"),
        ("/etc/data_batch_1.bin", "'/etc/data_batch_1.bin' leaves the archive's folder"),
        (member(f"{FOLDER}/data_batch_1.bin", tarfile.SYMTYPE, "/etc/passwd"), "is neither a file nor a folder"),
        (member(f"{FOLDER}/data_batch_1.bin", tarfile.LNKTYPE, "/etc/passwd"), "is neither a file nor a folder"),
        (member(f"{FOLDER}/data_batch_1.bin", tarfile.FIFOTYPE), "is neither a file nor a folder"),
    ],
)
def test_malicious_members_are_refused_by_name(tmp_path, extra, message):
    path = tar_gz(tmp_path / "x.tar.gz", MEMBERS)
    assert len(load_images(path)) > 0
    tar_gz(path, [(extra, b""), *MEMBERS])
    with pytest.raises(DataError, match=message):
        load_images(path)
    assert list(tmp_path.iterdir()) == [path]


def bomb(path, name, size, kind=tarfile.REGTYPE):
    """An archive with one member of zeros that says it has `size` bytes."""
    info = member(name, kind)
    info.size = size
    path.write_bytes(gzip.compress(info.tobuf(tarfile.GNU_FORMAT) + bytes(5 << 20)))
    return path


@pytest.mark.parametrize(
    ("name", "size", "kind", "message"),
    [
        (f"{FOLDER}/data_batch_1.bin", 10 << 30, tarfile.REGTYPE, r"expected at most 30730000 bytes \(10,000 images\)"),
        (f"{FOLDER}/readme.html", 10 << 30, tarfile.REGTYPE, "unpacks to more than 4194304 bytes"),
        ("pax", 10 << 30, tarfile.XHDTYPE, "unpacks to more than 4194304 bytes"),
        ("long", 10 << 30, tarfile.GNUTYPE_LONGNAME, "unpacks to more than 4194304 bytes"),
        (f"{FOLDER}/readme.html", -(1 << 20), tarfile.REGTYPE, "not a readable archive|none of its files"),
        (f"{FOLDER}/data_batch_1.bin", -(1 << 20), tarfile.REGTYPE, "not a readable archive|truncated"),
    ],
)
def test_archives_that_unpack_to_more_than_they_may(tmp_path, monkeypatch, name, size, kind, message):
    monkeypatch.setattr("manifoldflow.data.cifar._MOST_UNPACKED", 4 << 20)
    path = bomb(tmp_path / "x.tar.gz", name, size, kind)
    assert path.stat().st_size < 10_000
    with pytest.raises(DataError, match=message):
        load_images(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("data_batch_2.bin", b"\0" * 3072, "data_batch_2.bin: truncated: expected a multiple of 3073 bytes"),
        ("data_batch_2.bin", b"", "data_batch_2.bin: truncated"),
        ("test_batch.bin", b"\x0a" + b"\0" * 3072, "test_batch.bin: expected labels 0 to 9, got 10"),
        (
            "data_batch_1.bin",
            b"\0" * (10_001 * 3073),
            r"expected at most 30730000 bytes \(10,000 images\), got 30733073",
        ),
    ],
)
def test_damaged_batches(folder, archive, name, content, message):
    assert len(load_images(folder)) == len(load_images(archive)) > 0
    (folder / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        load_images(folder)
    members = [(member, content if member.endswith(name) else before) for member, before in MEMBERS]
    with pytest.raises(DataError, match=message):
        load_images(tar_gz(archive, members))


def test_truncated_mislabelled_and_foreign_archives(archive, tmp_path):
    assert len(load_images(archive)) > 0
    content = archive.read_bytes()
    for damaged in (content[: len(content) // 2], b"", b"GIF89a", gzip.compress(b"no tar archive at all" * 100)):
        archive.write_bytes(damaged)
        with pytest.raises(DataError, match=r"not a readable archive \(.*download it again|none of its files"):
            load_images(archive)
    tar_gz(archive, [("readme.txt", b"\0" * 3074)])
    with pytest.raises(DataError, match=r"expected CIFAR-10's data_batch_1\.bin, found none of its files"):
        load_images(archive)
    with pytest.raises(DataError, match="no such file or folder"):
        read_cifar10(tmp_path / "absent.tar.gz")


def test_cifar_100_has_two_labels_and_the_fine_one_counts(tmp_path):
    rng = np.random.default_rng(0)
    parts = {}
    for name, count in (("train.bin", 5), ("test.bin", 2)):
        images, labels = rng.integers(0, 256, (count, 3, 32, 32), np.uint8), rng.integers(0, 100, count, np.uint8)
        rows = [bytes([label // 5, label]) + image.tobytes() for label, image in zip(labels, images)]
        parts[name] = images, labels, b"".join(rows)
    members = [(f"cifar-100-binary/{name}", content) for name, (_, _, content) in parts.items()]
    archive = tar_gz(tmp_path / "cifar-100-binary.tar.gz", [*members, ("cifar-100-binary/fine_label_names.txt", b"a")])
    folder = tmp_path / "unpacked" / "cifar-100-binary"
    folder.mkdir(parents=True)
    for name, (_, _, content) in parts.items():
        (folder / name).write_bytes(content)
    for path in (archive, tmp_path, folder, folder.parent):
        for data in (load_images(path), read_cifar100(path)):
            assert torch.equal(data.images, torch.from_numpy(np.concatenate([part[0] for part in parts.values()])))
            assert data.labels.tolist() == [int(label) for part in parts.values() for label in part[1]]
            assert (data.name, data.published_test) == ("cifar100", 2)
    with pytest.raises(DataError, match=r"expected CIFAR-10's data_batch_1\.bin, found none of its files"):
        read_cifar10(archive)
    (folder / "test.bin").write_bytes(b"\0" * 3073)
    with pytest.raises(DataError, match=r"test\.bin: truncated: expected a multiple of 3074 bytes"):
        load_images(folder)
    python = tmp_path / "cifar-100-python"
    python.mkdir()
    (python / "train").write_bytes(pickle.dumps([1]))
    with pytest.raises(DataError, match=r"CIFAR-100's python version: .*cifar-100-binary\.tar\.gz as downloaded"):
        load_images(python)
