# SPDX-License-Identifier: Apache-2.0
"""Of the release notes."""

import importlib.metadata

extensions = ['openstackdocstheme', 'reno.sphinxext']

project = 'openstack docker machine release notes'
copyright = 'dockermachine-osc contributors'
release = importlib.metadata.version('dockermachine-osc')
version = release

html_theme = 'openstackdocs'
openstackdocs_repo_name = 'dockermachine-osc'
openstackdocs_auto_name = False
openstackdocs_auto_version = False
openstackdocs_pdf_link = False
pygments_style = 'native'
