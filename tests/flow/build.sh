#!/bin/sh
: > /dev/null
