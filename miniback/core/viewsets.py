"""Uploads."""

import hashlib

from django.core.files.uploadedfile import UploadedFile
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from miniback.core.errors import KeyMismatch, NotFound, PayloadTooLarge
from miniback.core.idempotency import run_request_once
from miniback.core.parsers import UploadParser
from miniback.core.pictures import NotAPicture
from miniback.core.schema import describe, idempotency_key
from miniback.core.serializers import UploadInput, UploadSerializer
from miniback.core.uploads import store_upload


class UploadViewSet(GenericViewSet):
    parser_classes = [UploadParser]
    serializer_class = UploadInput

    @describe(
        "Upload a picture",
        request=UploadInput,
        answers={201: UploadSerializer},
        errors=[PayloadTooLarge, NotAPicture, NotFound, KeyMismatch],
        parameters=[idempotency_key()],
    )
    def create(self, request: Request) -> Response:
        """Send `file` as multipart/form-data (`wx.uploadFile`), at most 10 MB: JPEG, PNG or WebP.

        The picture is encoded again, without EXIF; use its `id` as an avatar or in a review.
        """
        form = UploadInput(data=request.data)
        form.is_valid(raise_exception=True)
        wanted = form.validated_data
        body = {"purpose": wanted["purpose"], "sha256": _hash(wanted["file"])}
        upload = store_upload(
            user=request.user,
            run=lambda insert: run_request_once(request, insert, body=body).made,
            **wanted,
        )
        return Response(UploadSerializer(upload).data, status=status.HTTP_201_CREATED)


def _hash(file: UploadedFile) -> str:
    digest = hashlib.sha256()
    for chunk in file.chunks():
        digest.update(chunk)
    file.seek(0)
    return digest.hexdigest()
