"""The page's codebook."""

from fastapi import APIRouter

router = APIRouter()
