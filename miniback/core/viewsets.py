"""Uploads."""

from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from miniback.core.errors import PayloadTooLarge
from miniback.core.parsers import UploadParser
from miniback.core.pictures import NotAPicture
from miniback.core.schema import describe
from miniback.core.serializers import UploadInput, UploadSerializer
from miniback.core.uploads import store_upload


class UploadViewSet(GenericViewSet):
    parser_classes = [UploadParser]
    serializer_class = UploadInput

    @describe(
        "Upload a picture",
        request=UploadInput,
        answers={201: UploadSerializer},
        errors=[PayloadTooLarge, NotAPicture],
    )
    def create(self, request: Request) -> Response:
        """Send `file` as multipart/form-data (`wx.uploadFile`), at most 10 MB: JPEG, PNG or WebP.

        The picture is encoded again, without EXIF; use its `id` as an avatar or in a review.
        """
        form = UploadInput(data=request.data)
        form.is_valid(raise_exception=True)
        upload = store_upload(user=request.user, **form.validated_data)
        return Response(UploadSerializer(upload).data, status=status.HTTP_201_CREATED)
