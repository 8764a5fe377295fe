#!/usr/bin/python3
"""A list of instances in a database, over HTTP.

GET /health       whether a database answers, and which
GET /instances    all of them
POST /instances   another one: its name is the body
"""

import configparser
import json
import socket
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pymysql

TABLE = """CREATE TABLE IF NOT EXISTS instances (
  id BIGINT PRIMARY KEY AUTO_INCREMENT,
  name VARCHAR(255) NOT NULL,
  host VARCHAR(255) NOT NULL
)"""

config = configparser.ConfigParser(interpolation=None)
config.read(sys.argv[1])


def connect():
    """To the first database that answers."""
    database = config["database"]
    for host in database["hosts"].split():
        try:
            return pymysql.connect(
                host=host,
                user=database["user"],
                password=database["password"],
                database=database["name"],
                autocommit=True,
                connect_timeout=5,
                read_timeout=30,
                write_timeout=30,
            )
        except pymysql.err.OperationalError as error:
            last = error
    raise last


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/health":
            self.answer(health)
        elif self.path == "/instances":
            self.answer(listed)
        else:
            self.send_error(404)

    def do_POST(self):
        if self.path != "/instances":
            return self.send_error(404)
        name = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        return self.answer(lambda cursor: added(cursor, name), 201)

    def answer(self, work, status=200):
        try:
            with connect() as connection, connection.cursor() as cursor:
                body = json.dumps(work(cursor)).encode() + b"\n"
        except pymysql.err.MySQLError as error:
            return self.send_error(503, explain=str(error))
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        return self.wfile.write(body)


def health(cursor):
    cursor.execute("SELECT @@server_id")
    return {"host": socket.gethostname(), "database": cursor.fetchone()[0]}


def listed(cursor):
    cursor.execute("SELECT id, name, host FROM instances ORDER BY id")
    return [dict(zip(("id", "name", "host"), row)) for row in cursor.fetchall()]


def added(cursor, name):
    host = socket.gethostname()
    cursor.execute("INSERT INTO instances (name, host) VALUES (%s, %s)", (name, host))
    return {"id": cursor.lastrowid, "name": name, "host": host}


with connect() as first, first.cursor() as maker:
    maker.execute(TABLE)
ThreadingHTTPServer(("", config.getint("server", "port")), Handler).serve_forever()
