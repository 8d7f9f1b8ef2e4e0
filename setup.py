"""What pyproject.toml cannot say: the scripts in train/ are installed as a part of the package, for `genmodels train`."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["genmodels*"]), "genmodels.recipes"],
    package_dir={"genmodels.recipes": "train"},
)
