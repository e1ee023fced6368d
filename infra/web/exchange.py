"""The page's exchange."""

from fastapi import APIRouter

router = APIRouter()
