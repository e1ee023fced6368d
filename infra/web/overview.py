"""The page's overview."""

from fastapi import APIRouter

router = APIRouter()
