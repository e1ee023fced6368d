"""The page's segments."""

from fastapi import APIRouter

router = APIRouter()
