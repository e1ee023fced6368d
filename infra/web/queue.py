"""The page's queue."""

from fastapi import APIRouter

router = APIRouter()
