"""Celery's way in: the rows are the queue, and each sweep may run late, twice, or beside another."""

from celery import shared_task

from onboarding.intake import thread_answers, thread_digests, thread_files


@shared_task
def file_answers() -> None:
    """Put the answers that came by mail in their threads."""
    thread_answers.file_answers()


@shared_task
def scan_attachments() -> None:
    """Have what was attached looked at, and erase the files of nobody."""
    thread_files.scan()
    thread_files.erase_strays()


@shared_task
def send_digests() -> None:
    """Queue the digests of the window that opened."""
    thread_digests.send()
