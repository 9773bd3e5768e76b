"""The servers of a rehearsal: a database, a broker, a DNS and workers of its own, in a folder that is thrown away."""

import contextlib
import json
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from suite import embedded
from suite.demo.supervisor import Child, CannotStart, says, serves_port, wait_for
from suite.rehearsal import keys
