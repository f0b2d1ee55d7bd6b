"""Writes that happen only if an object is as expected: compare and swap, where the store has it.

S3 has it since 2024 (`If-None-Match`, `If-Match`), and so have several stores that speak its protocol. Others refuse
such a request, and some accept it and ignore the condition, which would be a lock that everybody gets; so a store is
believed only after it has refused a write that it must refuse.

pyarrow's client cannot send these headers; botocore's, which comes with the extra `s3`, can.
"""

from __future__ import annotations

import logging
import os
from typing import Any

from pyarrow import fs

from ner_ray.extras import is_installed

_LOG = logging.getLogger(__name__)

_REFUSED = {409, 412}  # the object is another one, or is being written by somebody else
_GONE = 404


class ConditionFailedError(Exception):
    """The object is not as expected; nothing was written."""


class ConditionalObject:
    """An object that is written only while nobody else has written it; made by `conditional_object`."""

    def __init__(self, client: Any, bucket: str, key: str) -> None:  # botocore makes its clients' types at run time
        self._client = client
        self._where = {"Bucket": bucket, "Key": key}
        self._etag: str | None = None

    def see(self) -> None:
        """Expects from now on the object as it is.

        Raises:
            OSError: the store cannot be reached, or does not let this client in.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            self._etag = self._client.head_object(**self._where)["ETag"]
        except ClientError as error:
            if _status(error) != _GONE:
                raise OSError(str(error)) from error
            self._etag = None
        except BotoCoreError as error:  # no credentials that botocore finds, for example
            raise OSError(str(error)) from error

    def put(self, content: bytes) -> None:
        """Writes the object if it is as it was when last seen or written here.

        Raises:
            ConditionFailedError: it is not.
            OSError: the store cannot be reached, or does not know such conditions.
        """
        expected = {"IfMatch": self._etag} if self._etag else {"IfNoneMatch": "*"}
        self._etag = self._put(content, expected)

    def is_honoured(self, content: bytes) -> bool:
        """Whether the store refuses to create the object, which exists; if it does not, `content` is what it holds."""
        try:
            self._etag = self._put(content, {"IfNoneMatch": "*"})
        except ConditionFailedError:
            return True
        return False

    def _put(self, content: bytes, condition: dict[str, str]) -> str:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            etag: str = self._client.put_object(**self._where, Body=content, **condition)["ETag"]
        except ClientError as error:
            if _status(error) in _REFUSED or ("IfMatch" in condition and _status(error) == _GONE):
                raise ConditionFailedError(str(error)) from error
            raise OSError(str(error)) from error
        except BotoCoreError as error:
            raise OSError(str(error)) from error
        return etag


def conditional_object(store: fs.FileSystem, path: str) -> ConditionalObject | None:
    """An object for conditional writes; None if the store is none of S3's protocol or botocore is not installed."""
    if not isinstance(store, fs.S3FileSystem) or not is_installed("botocore"):
        return None
    from botocore.session import get_session

    bucket, key = path.split("/", 1)
    region = store.region or os.environ.get("AWS_DEFAULT_REGION")
    return ConditionalObject(get_session().create_client("s3", region_name=region), bucket, key)


def _status(error: Any) -> int:  # botocore's ClientError
    status: int = error.response["ResponseMetadata"]["HTTPStatusCode"]
    return status
